"""mini-kubectl: the command line of the API. One verb a file in a folder of `commands/`.

An import inside a function keeps a verb's start short: pydantic takes about 80 ms, the models of all kinds 300 ms and
websockets 60 ms, beside 150 ms for the whole of `mini-kubectl get pods`.
"""
