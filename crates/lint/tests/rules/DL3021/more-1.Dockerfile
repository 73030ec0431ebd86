FROM a:1
COPY a b c
COPY a b c/
COPY a b "c/"
COPY a b "c"
COPY ["a","b","c"]
COPY a b .
COPY a b $x
COPY a b ./
COPY a* b
COPY a b C:\
COPY a b c\
