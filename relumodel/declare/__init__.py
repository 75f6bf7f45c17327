"""What users declare: networks, perturbations, models; readings, terms, constraints and problems. No data, no solver."""
