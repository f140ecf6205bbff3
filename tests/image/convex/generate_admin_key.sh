#!/bin/bash
# What an operator executes in the running container, in its working directory.
set -e
source ./read_credentials.sh
echo "key of $INSTANCE_NAME: ${INSTANCE_SECRET:0:8}"
