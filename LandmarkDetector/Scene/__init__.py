"""What the module knows of MRML: volumes, result nodes, the state of the review, undo. No Qt in here."""
