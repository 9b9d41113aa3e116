# Sourced by steps.sh: why a step failed, if its output says so.

# cause_of LOG: prints one line that says what is wrong and what to do. Fails if it knows nothing in the output.
cause_of() {
  local text
  text=$(tail -n 400 "$1")
  case $text in
    *"No space left on device"*)
      echo "The disk is full: make room here ($(df -h --output=avail . | tail -n 1 | xargs) left in this folder, $(df -h --output=avail /tmp | tail -n 1 | xargs) in /tmp), then run this again." ;;
    *"Could not get lock"* | *"Unable to acquire the dpkg frontend lock"*)
      echo "Another program is installing packages: wait until it has finished, then run this again." ;;
    *"dpkg was interrupted"*)
      echo "An earlier installation was interrupted: run 'dpkg --configure -a' as root, then this again." ;;
    *"DO NOT MATCH THE HASHES"*)
      echo "What arrived is not what cmake/*.txt names by its hash: try again; if it stays so, something on the way changes downloads." ;;
    *CERTIFICATE_VERIFY_FAILED* | *"certificate verification failed"* | *"certificate verify failed"*)
      echo "The network's certificate is not trusted: set PIP_CERT to your organisation's certificates, or install ca-certificates." ;;
    *"Temporary failure resolving"* | *"Temporary failure in name resolution"* | *"Could not resolve"* | *"Name or service not known"* | \
      *"Network is unreachable"* | *"Connection refused"* | *"Could not connect to"* | *"Failed to establish a new connection"* | *"Connection timed out"* | \
      *"No route to host"* | *"Read timed out"* | *"Cannot connect to proxy"* | *"Tunnel connection failed"*)
      echo "No network: connect this machine, or name its proxy in http_proxy and https_proxy, then run this again." ;;
    *"No module named pip"*)
      echo "$(command -v python3) has no pip: install python3-pip, or put a Python that has it first in PATH." ;;
    *"No matching distribution found"*)
      echo "The package index has no such file for this machine: is PIP_INDEX_URL one that mirrors PyPI, and this an x86-64 Linux with glibc?" ;;
    *"Killed signal terminated program"* | *"Cannot allocate memory"* | *"virtual memory exhausted"*)
      echo "Memory ran out while compiling: run CMAKE_BUILD_PARALLEL_LEVEL=1 ${0##*/}, which compiles one file at a time." ;;
    *"or higher is required.  You are running version"*)
      echo "$(cmake --version | head -n 1) is too old, 3.22 is needed: python3 -m pip install cmake brings a new one." ;;
    *) return 1 ;;
  esac
}
