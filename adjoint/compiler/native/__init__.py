"""Native code: LLVM IR as text, built in memory, called without Python in between."""
