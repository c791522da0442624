{
  "dsseEnvelope": {
    "payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGUiOnsicmVzb3VyY2VzIjpbeyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiI4MzM1MTA0NmIyZjQ5ZjIzYjhlZjIyMDQxOTQ1Y2FjMDk3YTZhNmI0N2RjMDIyYmNmYmRmYWQ2YTc1OWVhMjc3IiwibmFtZSI6ImNvbmZpZy5qc29uIn0seyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiJlM2IwYzQ0Mjk4ZmMxYzE0OWFmYmY0Yzg5OTZmYjkyNDI3YWU0MWU0NjQ5YjkzNGNhNDk1OTkxYjc4NTJiODU1IiwibmFtZSI6ImVtcHR5In0seyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiI4MTg5ZTNkNTQ3NjdkNTFlOGQxOTQyNjU5YTllMjkwNWY5ZWMzYWU3Mjg2MGMxNmE2NmU3NWI4Y2M5YmQyMDg3IiwibmFtZSI6IndlaWdodHMvbW9kZWwuYmluIn1dLCJzZXJpYWxpemF0aW9uIjp7ImFsbG93X3N5bWxpbmtzIjpmYWxzZSwiaGFzaF90eXBlIjoic2hhMjU2IiwiaWdub3JlX3BhdGhzIjpbXSwibWV0aG9kIjoiZmlsZXMifX0sInByZWRpY2F0ZVR5cGUiOiJodHRwczovL21vZGVsX3NpZ25pbmcvc2lnbmF0dXJlL3YxLjAiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiYmQ5YWVlYjZmM2ViMDg2ZDBjMmY2ZDMxNmZiZWMwMThmNWMwODJkM2JmMDY0Y2U0ZTQ5NjY5NGVlYWZmNDc4ZCJ9LCJuYW1lIjoidGlueS1sbG0ifV19",
    "payloadType": "application/vnd.in-toto+json",
    "signatures": [
      {
        "keyid": "",
        "sig": "MEQCIHKTRTvKgPHiIOcDsaZIMansFxWx041e4psOYrt94QEuAiBb1oCLuIzGnWBmTApiUWDSK8gWmxDaq/psDkQ5SYEWcw=="
      }
    ]
  },
  "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
  "verificationMaterial": {
    "publicKey": {
      "hint": "ca150e75270f26f5924caf62255f27fabd64b8a47a778971fee6615072bd0afa"
    },
    "tlogEntries": []
  }
}
