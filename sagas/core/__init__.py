"""The functional core: every rule of a saga, without Django, I/O or a clock.

    decide(definition, state, happening) -> entries      what a happening means
    evolve(state, entry) -> state                        what an entry changes
    next_move(definition, state, now) -> Move            what to do next

The journal is the list of entries; folding it with `evolve` gives the state.
"""
