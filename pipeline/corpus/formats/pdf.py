def read_pdf(path, config):
    raise ValueError("x")
