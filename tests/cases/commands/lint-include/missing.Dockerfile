# kiln=include
FROM debian:12
ADD c.py /c
INCLUDE common/bse.Dockerfile
