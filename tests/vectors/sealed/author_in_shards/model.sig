{
  "dsseEnvelope": {
    "payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGUiOnsicmVzb3VyY2VzIjpbeyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiI4MzM1MTA0NmIyZjQ5ZjIzYjhlZjIyMDQxOTQ1Y2FjMDk3YTZhNmI0N2RjMDIyYmNmYmRmYWQ2YTc1OWVhMjc3IiwibmFtZSI6ImNvbmZpZy5qc29uOjA6MjEifSx7ImFsZ29yaXRobSI6InNoYTI1NiIsImRpZ2VzdCI6ImUzYjBjNDQyOThmYzFjMTQ5YWZiZjRjODk5NmZiOTI0MjdhZTQxZTQ2NDliOTM0Y2E0OTU5OTFiNzg1MmI4NTUiLCJuYW1lIjoiZW1wdHk6MDowIn0seyJhbGdvcml0aG0iOiJzaGEyNTYiLCJkaWdlc3QiOiI2MzBkY2QyOTY2YzQzMzY2OTExMjU0NDhiYmIyNWI0ZmY0MTJhNDljNzMyZGIyYzhhYmMxYjg1ODFiZDcxMGRkIiwibmFtZSI6IndlaWdodHMvbW9kZWwuYmluOjA6MzIifSx7ImFsZ29yaXRobSI6InNoYTI1NiIsImRpZ2VzdCI6IjcyZGJiNzMzNmM3Njc4MDAyM2Y4M2RhNGMzNTVmMmVlZWE4NTczM2IxM2QzNDc3Njk3OTE3NzkwYzEyMjkwODQiLCJuYW1lIjoid2VpZ2h0cy9tb2RlbC5iaW46MzI6NjQifSx7ImFsZ29yaXRobSI6InNoYTI1NiIsImRpZ2VzdCI6IjIwNDkyNDI0NzVmN2I5MTYzOGY0MGRiODdjNzEzOTFjNGU5NmZhYWY0OTIzMDJmYjUyMmQ3ZTYyYTczNjZjNmMiLCJuYW1lIjoid2VpZ2h0cy9tb2RlbC5iaW46NjQ6NzEifV0sInNlcmlhbGl6YXRpb24iOnsiYWxsb3dfc3ltbGlua3MiOmZhbHNlLCJoYXNoX3R5cGUiOiJzaGEyNTYiLCJpZ25vcmVfcGF0aHMiOltdLCJtZXRob2QiOiJzaGFyZHMiLCJzaGFyZF9zaXplIjozMn19LCJwcmVkaWNhdGVUeXBlIjoiaHR0cHM6Ly9tb2RlbF9zaWduaW5nL3NpZ25hdHVyZS92MS4wIiwic3ViamVjdCI6W3siZGlnZXN0Ijp7InNoYTI1NiI6IjlkZDQyYTM1NzlkNDIyN2IzODY1NzgzZDc3OTJmNzRjNmE3MzM4ZWY1NzhlMzk4MjUzMjc5YTQyYmRjYzViMTIifSwibmFtZSI6InRpbnktbGxtIn1dfQ==",
    "payloadType": "application/vnd.in-toto+json",
    "signatures": [
      {
        "keyid": "",
        "sig": "MEUCIBcSLsrblk7/qgqXRaEe95wkUv1b/Qd6hbqW9yMtpIT8AiEArX2AmyH9+f8zyJyKkucTK/gwm4XtM+Pp41jdaVQldao="
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
