"""The data's labels in the model's terms.

Labels come as text in the data's own spelling. They are read in this order: by the user's map; by the model's names on
the exact text, then on what differs in writing only; and only where they are no names, as numbers. What cannot be
read with certainty stops the run before it starts, with both lists side by side. Single stray values are data, not
set-up: their rows are rejected and counted. The same table says how a class is written back into the data.

    spelling    when two labels say the same, and how one is written like another
    names       a column of names
    numbers     a column of integers, or of true and false
    label_map   what the user's map says
    resolve     the order of reading
    proposal    a map to edit, with its best guess
    messages    both lists side by side, and what differs between names that look alike
"""

from scorer.labels.encoder import MISSING, UNKNOWN, UNKNOWN_SHARE, LabelEncoder
from scorer.labels.messages import shown, side_by_side
from scorer.labels.resolve import resolve_labels

__all__ = ["MISSING", "UNKNOWN", "UNKNOWN_SHARE", "LabelEncoder", "resolve_labels", "shown", "side_by_side"]
