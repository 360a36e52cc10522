"""How anything is shown: figures, pictures, pages, tables and the viewer. Who uses it hands it the data."""
