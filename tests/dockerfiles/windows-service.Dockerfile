# escape=`

FROM mcr.microsoft.com/dotnet/framework/sdk:4.8 AS build
WORKDIR C:\src
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';"]
COPY . .
RUN nuget restore; `
    msbuild /p:Configuration=Release

FROM mcr.microsoft.com/windows/servercore:ltsc2022
COPY --from=build C:\src\bin\Release C:\app
CMD ["C:\\app\\service.exe"]
