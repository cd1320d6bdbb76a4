"""Trained networks in forms that other programs run: ONNX, torch.export, and a folder of plain torch code."""
