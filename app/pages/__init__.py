"""The pages of the browser app, one file each, in the order of the journey: data, compare, train, evaluate."""
