"""Networks, search methods and the engine that runs them: the part of nascli that needs torch."""
