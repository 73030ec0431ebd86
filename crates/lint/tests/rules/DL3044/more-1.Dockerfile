FROM a:1
ENV A=1 B=$A
ENV C=1 D=${C}
ENV C=2 E=$C
ENV F=1 G=$FF
ENV H=1 I=${H:-1}
ENV J=$J K=1
ENV L=a M="x$L"
ENV N=a O='x$N'
ENV P=a Q=\$P
ARG R
ENV R=a S=$R
ENV T $T
ENV U=$V V=1
ENV W=1 X=$W/y Y=${X}z
