FROM ubuntu:14.04
MAINTAINER Some Body "some.body@example.org"

ENV HOME /root
ENV DEBIAN_FRONTEND noninteractive
RUN	apt-get update && \
	apt-get install -y apache2
ADD	apache-config.conf /etc/apache2/sites-enabled/000-default.conf
ADD start.sh /start.sh
ENV APACHE_RUN_USER www-data
EXPOSE 80 443
CMD /usr/sbin/apache2ctl -D FOREGROUND
