"""What a loss, a penalty or a function says of itself, checked on numbers: the core asks before it relies on a face, and
`relumodel.testing` shows users all of the answers."""
