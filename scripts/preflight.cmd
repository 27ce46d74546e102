@echo off
rem Runs instead of scripts/preflight on Windows without WSL, which has no bash: VS Code's initializeCommand starts it.
rem It only explains how to get Linux. Lines end with CRLF, which cmd requires.
echo error [host-system] this folder is open in Windows itself; scripts/preflight and the build need Linux, e.g. WSL2
echo   what to do:
echo   1. once, in PowerShell: wsl --install, and with an NVIDIA card the current driver on Windows, none inside WSL
echo   2. once, in Docker Desktop: Settings, Resources, WSL integration, switch your distribution on
echo   3. clone the repository inside WSL, in its home folder rather than below /mnt/c
echo   4. in VS Code: "WSL: Open Folder in WSL", then "Dev Containers: Reopen in Container"
exit /b 3
