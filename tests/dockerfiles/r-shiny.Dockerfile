FROM rocker/r-ver:4.4.1
RUN Rscript -e 'install.packages(c("shiny", "DT"), repos = "https://packages.example")' \
 && Rscript -e "stopifnot(requireNamespace('shiny'))"
COPY ./app /srv/app
WORKDIR /srv/app
EXPOSE 3838
CMD ["R", "-q", "-e", "shiny::runApp('/srv/app', host = '0.0.0.0', port = 3838)"]
