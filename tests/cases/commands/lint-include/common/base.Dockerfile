FROM debian:12
ADD a.py /x
INCLUDE tools.Dockerfile
