"""The API's routes, one module per subject.

A route checks its parameters, asks the other rooms, and shapes the answer; it holds no logic of
its own. Each is described with its errors, and the contract test holds it to that.
"""
