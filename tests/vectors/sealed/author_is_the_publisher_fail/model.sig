{
  "dsseEnvelope": {
    "payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGUiOnsicmVzb3VyY2VzIjpbeyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiI4MzM1MTA0NmIyZjQ5ZjIzYjhlZjIyMDQxOTQ1Y2FjMDk3YTZhNmI0N2RjMDIyYmNmYmRmYWQ2YTc1OWVhMjc3IiwibmFtZSI6ImNvbmZpZy5qc29uIn0seyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiJlM2IwYzQ0Mjk4ZmMxYzE0OWFmYmY0Yzg5OTZmYjkyNDI3YWU0MWU0NjQ5YjkzNGNhNDk1OTkxYjc4NTJiODU1IiwibmFtZSI6ImVtcHR5In0seyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiI4MTg5ZTNkNTQ3NjdkNTFlOGQxOTQyNjU5YTllMjkwNWY5ZWMzYWU3Mjg2MGMxNmE2NmU3NWI4Y2M5YmQyMDg3IiwibmFtZSI6IndlaWdodHMvbW9kZWwuYmluIn1dLCJzZXJpYWxpemF0aW9uIjp7ImFsbG93X3N5bWxpbmtzIjpmYWxzZSwiaGFzaF90eXBlIjoic2hhMjU2IiwiaWdub3JlX3BhdGhzIjpbXSwibWV0aG9kIjoiZmlsZXMifX0sInByZWRpY2F0ZVR5cGUiOiJodHRwczovL21vZGVsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiYmQ5YWVlYjZmM2ViMDg2ZDBjMmY2ZDMxNmZiZWMwMThmNWMwODJkM2JmMDY0Y2U0ZTQ5NjY5NGVlYWZmNDc4ZCJ9LCJuYW1lIjoidGlueS1sbG0ifV19",
    "payloadType": "application/vnd.in-toto+json",
    "signatures": [
      {
        "keyid": "",
        "sig": "MEUCIQC5YFMM7rFStvyBf1N0AuRyUlJWA1txvCHRK5G7yO4uLwIgYV198PwXPgCjgqIDFvVcntNaQSCSBS+KAZcreQFRdYM="
      }
    ]
  },
  "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
  "verificationMaterial": {
    "publicKey": {
      "hint": "d468d212112655e12276b77e114785450dae6c7c890407c5d0f8559c62a7e27f"
    },
    "tlogEntries": []
  }
}
