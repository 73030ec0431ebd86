FROM scratch
COPY a* b /d/
