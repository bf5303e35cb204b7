"""Real workers, servers and the console, killed at random while people use them: `make chaos`.

__main__    one run: everything starts, is struck, comes to rest and is judged
processes   what runs; striking   how it is killed and stopped
stories     the sagas and who performs them; callables, messages   participants of our own
customers   start sagas over the API; operators   look after them over the API
client      asks until there is an answer, and keeps what was acknowledged
judging     what must hold afterwards; effects, records, logs   parts of it
"""
