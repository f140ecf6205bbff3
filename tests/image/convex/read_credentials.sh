# Sourced by run_backend.sh and generate_admin_key.sh: name and secret from the environment, else from files, else new;
# written back each time.
CREDENTIALS_DIR=${CREDENTIALS_DIR:-/convex/data/credentials}
mkdir -p "$CREDENTIALS_DIR"

new_secret() {
    head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

INSTANCE_NAME=${INSTANCE_NAME:-$(cat "$CREDENTIALS_DIR/instance_name" 2>/dev/null || echo convex-self-hosted)}
INSTANCE_SECRET=${INSTANCE_SECRET:-$(cat "$CREDENTIALS_DIR/instance_secret" 2>/dev/null || new_secret)}
echo "$INSTANCE_NAME" >"$CREDENTIALS_DIR/instance_name"
echo "$INSTANCE_SECRET" >"$CREDENTIALS_DIR/instance_secret"
