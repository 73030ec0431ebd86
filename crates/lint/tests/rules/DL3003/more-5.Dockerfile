from a:1
run cd a
Run cd b
