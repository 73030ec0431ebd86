FROM debian:13
RUN chmod 1777 /scratch && chmod 777 /tmp && chmod 755 /app && chmod u+w,g-w /app
COPY --chmod=0666 a /a
RUN chmod a+rwx /srv
RUN chmod o-w /srv
