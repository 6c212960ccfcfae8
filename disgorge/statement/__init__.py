"""The signed statement: the certificate that is issued or refused, the in-toto predicate, signatures."""
