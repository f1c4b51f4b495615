"""What is inside a frozen program: modules compiled into it, or kept as bytecode in it or in an archive beside it."""
