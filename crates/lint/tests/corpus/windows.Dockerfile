# escape=`
FROM mcr.example.com/windows/servercore:ltsc2019
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
WORKDIR C:/app
RUN Invoke-WebRequest https://example.com/x.zip -OutFile x.zip ; `
    Expand-Archive x.zip | Out-Null
COPY app C:/app/
CMD ["app.exe"]
