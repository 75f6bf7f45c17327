"""Program -> standard conic form: assembly, its size before it is there, quadratic objectives as second-order cones."""
