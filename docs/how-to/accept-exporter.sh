#!/bin/sh
# Prints a RiskAcceptance for the tutorial's Deployment, from now on for thirty days, and an approval of it.
set -eu
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
end=$(date -u -d '+30 days' +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -v+30d +%Y-%m-%dT%H:%M:%SZ)
acceptance=$(sed -e "s/validFrom: .*/validFrom: \"$now\"/" -e "s/validUntil: .*/validUntil: \"$end\"/" \
  "$(dirname "$0")/../tutorial/shop/acceptance.yaml")
digest=$(printf '%s\n' "$acceptance" | tidewaiter risk digest -)
printf '%s\n---\n' "$acceptance"
sed -e "s/digest: .*/digest: $digest/" -e "s/approvedAt: .*/approvedAt: \"$now\"/" \
  "$(dirname "$0")/../tutorial/shop/approval.yaml"
