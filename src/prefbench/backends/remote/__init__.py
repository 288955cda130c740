"""What the backends behind a network share: model facts, money, pace, faults, live calls and batches."""
