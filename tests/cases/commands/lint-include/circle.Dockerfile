# kiln=include
FROM debian:12
ADD c.py /c
INCLUDE circle.Dockerfile
