"""A participant as a Django service of its own: the stock of a shop, with the barrier.

`views` has its two actions and their undos, `models` its tables, `__main__` serves it. It uses
nothing of this project but the app `sagas.barrier`.
"""
