"""The ops, one file a family: each file holds all there is to know about its ops. `kinds` derives what can be derived."""
