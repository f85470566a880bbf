"""The vocabulary of the API without any I/O: models, resources, errors, quantities, selectors, patches."""
