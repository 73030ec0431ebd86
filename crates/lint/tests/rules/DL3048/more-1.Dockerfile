FROM a:1
LABEL A=b
LABEL a-b=c
LABEL a--b=c
LABEL a..b=c
LABEL com.docker.x=y
LABEL io.docker.x=y
LABEL org.dockerproject.x=y
LABEL a_b=c
LABEL a/b=c
LABEL a-=c
LABEL "a"=c
LABEL "A b"=c
LABEL 1a=c
LABEL a=b B=c C=d
LABEL $x=y
LABEL a b
LABEL a$x=c
LABEL a+b=c
