FROM ubuntu:latest
MAINTAINER Web Team <web@example.com>
ENV DEBIAN_FRONTEND noninteractive
RUN apt-get update
RUN apt-get install -y apache2 php libapache2-mod-php php-mysql curl vim
RUN apt-get clean
ADD site.conf /etc/apache2/sites-available/000-default.conf
ADD . /var/www/html
RUN chown -R www-data:www-data /var/www/html
RUN sed -i 's/;date.timezone =/date.timezone = "UTC"/' /etc/php/*/apache2/php.ini
EXPOSE 80 443
CMD service apache2 start && tail -f /var/log/apache2/access.log
