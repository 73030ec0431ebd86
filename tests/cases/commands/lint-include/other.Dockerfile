# kiln=include
INCLUDE common/base.Dockerfile
COPY b.py /b
