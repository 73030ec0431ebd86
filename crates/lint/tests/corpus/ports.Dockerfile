FROM nginx:1.25
EXPOSE 80/tcp 443/udp
EXPOSE 8000-8100
EXPOSE 65536
EXPOSE $PORT
STOPSIGNAL SIGQUIT
VOLUME ["/data", "/logs"]
VOLUME /a /b
HEALTHCHECK NONE
HEALTHCHECK --timeout=3s --retries=2 CMD ["curl", "-f", "http://localhost"]
