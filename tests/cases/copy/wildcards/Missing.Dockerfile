FROM scratch AS missing
COPY nope /d/
