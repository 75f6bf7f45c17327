"""relumodel: a modeling language for globally optimal and robust training of small ReLU networks."""
