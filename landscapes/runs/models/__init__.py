"""The networks of the paper and one small one, a file each; torch loads when one is built."""
