FROM debian:13
RUN chmod 4755 /app
RUN chmod 0755 /app && chmod 1777 /srv && chmod +x /app
COPY --chmod=2755 a /a
RUN chmod g+s /srv
