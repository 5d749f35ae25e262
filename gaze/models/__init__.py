"""Systems: route inputs through backbones and heads."""
