{
  "dsseEnvelope": {
    "payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGUiOnsicmVzb3VyY2VzIjpbeyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiI4MzM1MTA0NmIyZjQ5ZjIzYjhlZjIyMDQxOTQ1Y2FjMDk3YTZhNmI0N2RjMDIyYmNmYmRmYWQ2YTc1OWVhMjc3IiwibmFtZSI6ImNvbmZpZy5qc29uIn0seyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiIyZDcxMTY0MmI3MjZiMDQ0MDE2MjdjYTlmYmFjMzJmNWM4NTMwZmIxOTAzY2M0ZGIwMjI1ODcxNzkyMWE0ODgxIiwibmFtZSI6ImVtcHR5In0seyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiI4MTg5ZTNkNTQ3NjdkNTFlOGQxOTQyNjU5YTllMjkwNWY5ZWMzYWU3Mjg2MGMxNmE2NmU3NWI4Y2M5YmQyMDg3IiwibmFtZSI6IndlaWdodHMvbW9kZWwuYmluIn1dLCJzZXJpYWxpemF0aW9uIjp7ImFsbG93X3N5bWxpbmtzIjpmYWxzZSwiaGFzaF90eXBlIjoic2hhMjU2IiwiaWdub3JlX3BhdGhzIjpbXSwibWV0aG9kIjoiZmlsZXMifX0sInByZWRpY2F0ZVR5cGUiOiJodHRwczovL21vZGVsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiOTNjMzI3MjZjY2YwN2Y5NTZjODY0ODgxOWU1MTA4ZGIxNDcyYzgyYjUyZjRlMzAzZjQ4M2U4MTVlYWU3ZGEyYiJ9LCJuYW1lIjoidGlueS1sbG0ifV19",
    "payloadType": "application/vnd.in-toto+json",
    "signatures": [
      {
        "keyid": "",
        "sig": "MEQCIFNJYkmMSzIF46aoQ5mdRDSxKFc/E83mG9O8RcasTTE4AiAxqi9bQiHhHMcdxaagL5UzTwY2OgD4JZ4VStQ7uNQwJw=="
      }
    ]
  },
  "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
  "verificationMaterial": {
    "publicKey": {
      "hint": "9422ad741006abaaf2c3b7cd5bdd3a6998132f7a189e47dee109decf561cdc98"
    },
    "tlogEntries": []
  }
}
