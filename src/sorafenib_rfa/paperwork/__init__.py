"""What reviewers and data editors ask for, written from records, configuration and the rendered paper."""
