"""The console's frame (sidebar, theme, errors) and the pages that span all apps."""
