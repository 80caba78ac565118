#!/bin/sh
# Writes a RiskAcceptance for the tutorial's Deployment, from now on for thirty days, and an approval of it:
# acceptance.yaml and approval.yaml, into the folder that is named. Two people apply them, each their own.
set -eu
folder=${1:?name a folder}
shop=$(dirname "$0")/../tutorial/shop
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
end=$(date -u -d '+30 days' +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -v+30d +%Y-%m-%dT%H:%M:%SZ)
mkdir -p "$folder"
sed -e "s/validFrom: .*/validFrom: \"$now\"/" -e "s/validUntil: .*/validUntil: \"$end\"/" \
  "$shop/acceptance.yaml" > "$folder/acceptance.yaml"
digest=$(tidewaiter risk digest "$folder/acceptance.yaml")
sed -e "s/digest: .*/digest: $digest/" -e "s/approvedAt: .*/approvedAt: \"$now\"/" \
  "$shop/approval.yaml" > "$folder/approval.yaml"
